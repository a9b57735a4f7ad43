"""Background rejection with machine learning for rare-decay searches: ROOT ntuples to limits, in one honest chain."""
