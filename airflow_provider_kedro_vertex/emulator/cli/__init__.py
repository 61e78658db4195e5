"""The commands of ``vertex-emulator``, a module each."""
