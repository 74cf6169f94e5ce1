def forged(sample):
    return []
