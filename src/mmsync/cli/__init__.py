"""The command line: options in, calls, text out, an exit code. The only room that prints, reads the environment or exits."""
