// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"strings"
)

const prefix = "FALCOTEST_"

// Variables that are no settings: falcotest sets them for the processes that it
// starts, but for one.
const (
	EnvID      = prefix + "ID"         // the id of the run of an action, for all its processes
	EnvControl = prefix + "CONTROL"    // what a process is for; removed before the action runs
	EnvStage   = prefix + "STAGE"      // the descriptor by which a process of a test's chain is told what to do
	EnvTell    = prefix + "TELL_FILES" // a file that sessions write into which files they read, in place of running
	EnvNodeRun = prefix + "NODE_RUN"   // the id of a run on the nodes of a cluster, in whose pod this process is
	EnvPods    = prefix + "PODS"       // says that the cluster has nodes that run pods, which have their image
	EnvNodeAsk = prefix + "NODE_ASK"   // what the run asks of the pod, as JSON
	EnvReal    = prefix + "REAL_FALCO" // a Falco that tests of this project compare with; set by who runs them
	EnvMounts  = prefix + "MOUNTS"     // starts those about a process's own mounts; removed likewise
)

// ID returns the id of the run of an action that this process belongs to, ""
// outside of one.
func ID() string { return os.Getenv(EnvID) }

// Node is the name of the node in whose pod this process runs the tests for a driver
// elsewhere, "" where it does not.
func Node() string {
	if os.Getenv(EnvNodeRun) == "" {
		return ""
	}
	return os.Getenv("NODE_NAME")
}

// OfProcess tells whether a variable is one that falcotest sets for a process
// that it starts, and that the next process must not inherit.
func OfProcess(name string) bool {
	return name == EnvID || name == EnvControl || name == EnvStage || name == EnvTell || name == EnvNodeRun || name == EnvPods || name == EnvNodeAsk || name == EnvReal || name == EnvMounts || strings.HasPrefix(name, EnvMounts+"_")
}
