"""What runs leave behind and share: values and their hashes, results, cache keys, transactions, locks."""
