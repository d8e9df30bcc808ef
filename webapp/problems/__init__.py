"""Every error as the API answers it (RFC 9457), and how exceptions become one."""
