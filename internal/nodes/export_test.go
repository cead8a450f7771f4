// SPDX-License-Identifier: Apache-2.0

package nodes

import "time"

// SetGrace changes how much longer than its Job a node is waited for.
func SetGrace(d time.Duration) (restore func()) {
	old := grace
	grace = d
	return func() { grace = old }
}

// SetLease changes how long a run counts as alive that does not say so, a second at
// least.
func SetLease(d time.Duration) (restore func()) {
	old := leaseFor
	leaseFor = d
	return func() { leaseFor = old }
}
