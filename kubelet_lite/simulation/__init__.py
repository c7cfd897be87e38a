"""The simulation engine: this package's own code, and aiohttp, in virtual time under a seed. Same seed, same trace."""
