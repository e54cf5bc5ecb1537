"""Underdamped Langevin in continuous time, by means that have nothing in common with the package's."""

from __future__ import annotations

import mpmath as mp
import numpy as np
from scipy.fft import irfft, rfft
from scipy.integrate import solve_ivp


def flow(k, g, time, u):
    """A and the noise of dx = v dt, dv = (-u k x - g v) dt + sqrt(2gu) dB in mpmath at the caller's precision and more:
    A = e^{MT}, and the second moments of the noise as the linear equations C' = M C + C M^T + diag(0, 2gu)."""
    k, g, time, u = (mp.mpf(z) for z in (k, g, time, u))
    growth = int((g + mp.sqrt(abs(u * k))) * time)
    with mp.workdps(mp.mp.dps + 40 + growth):
        A = mp.expm(time * mp.matrix([[0, 1], [-u * k, -g]]), method="taylor")
        moments = mp.matrix([[0, 2, 0, 0], [-u * k, -g, 1, 0], [0, -2 * u * k, -2 * g, 2 * g * u], [0, 0, 0, 0]])
        moments = mp.expm(time * moments, method="taylor")
    return A, mp.matrix([[moments[0, 3], moments[1, 3]], [moments[1, 3], moments[2, 3]]])


def covariance_by_quadrature(k, g, time, u):
    """2gu int_0^T (G, G')^T (G, G') dt, G from the roots of its characteristic equation (complex ones too)."""
    k, g, time, u = (mp.mpf(z) for z in (k, g, time, u))
    root = mp.sqrt(mp.mpc(g * g / 4 - u * k))

    def response(t):
        return mp.exp(-g * t / 2) * mp.sinh(root * t) / root

    def speed(t):
        return mp.exp(-g * t / 2) * (mp.cosh(root * t) - g / 2 * mp.sinh(root * t) / root)

    def integral(a, b):
        return 2 * g * u * mp.quad(lambda t: mp.re(a(t) * b(t)), mp.linspace(0, time, 5))

    cross = integral(response, speed)
    return mp.matrix([[integral(response, response), cross], [cross, integral(speed, speed)]])


def hidden_noise(k, g, time, u, joint):
    """1/(e^T N^{-1} e), and N_xx/e_x^2 of the position alone, N = u f f^T + C."""
    A, C = flow(k, g, time, u)
    with mp.workdps(2 * mp.mp.dps + 60):
        e, f = A[:, 0], A[:, 1]
        N = mp.mpf(u) * f * f.T + C
        return 1 / (e.T * mp.inverse(N) * e)[0] if joint else N[0, 0] / e[0] ** 2


def position_densities(force, starts, time, g, x, velocities):
    """The densities of x_T on a periodic grid: f = sum_n F_n(x, t) He_n(v) e^{-v^2/2}/sqrt(2 pi n!), u = 1, obeys

        F_n' = -g n F_n - sqrt(n) (F_{n-1}' - s F_{n-1}) - sqrt(n+1) F_{n+1}',

    derivatives in x by Fourier series; the starts are densities of x on the grid.
    """
    n = np.arange(velocities)
    wave = 2j * np.pi * np.fft.rfftfreq(x.size, x[1] - x[0])
    up = np.sqrt(n[1:])[:, None]
    s = force(x)
    shape = (len(starts), velocities, x.size)
    first = np.zeros(shape)
    first[:, 0] = starts

    def rate(_, y):
        F = y.reshape(shape)
        slope = irfft(rfft(F, axis=-1) * wave, n=x.size, axis=-1)
        out = -g * n[:, None] * F
        out[:, 1:] -= up * (slope[:, :-1] - s * F[:, :-1])
        out[:, :-1] -= up * slope[:, 1:]
        return out.ravel()

    found = solve_ivp(rate, (0, time), first.ravel(), method="DOP853", rtol=1e-9, atol=1e-11, t_eval=[time])
    return found.y[:, -1].reshape(shape)[:, 0]
