"""systemd as it is asked, and what confines a service that it runs."""
