"""What the claims measure: loaded when a claim is asked, never to print one."""
