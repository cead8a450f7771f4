// SPDX-License-Identifier: Apache-2.0

package kube

// KillServer kills the API server.
func KillServer(c *Cluster) { c.processes[len(c.processes)-1].Kill() }
