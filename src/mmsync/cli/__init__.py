"""The command line: options in, calls, text out, exit code. Only this room prints, reads the environment or exits."""
