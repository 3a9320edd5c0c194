"""Who you are: passwords, sessions, tickets."""
