"""The GitOps repository: views, commits, the safe push, the ledger."""
