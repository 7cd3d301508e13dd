"""An embedded Argo CD, cluster and git server to try and test against."""
