"""What the flows share: states, artifacts, hooks, Secret blocks, deployments, runs in process."""
