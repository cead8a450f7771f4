// SPDX-License-Identifier: Apache-2.0

package filter

// Truth is what a condition is of an event. A condition that hangs on a value
// which is not known is neither true nor false; one that does not, such as an
// 'and' of which another part is false, is not touched by it.
type Truth uint8

// The truths.
const (
	False Truth = iota
	True
	Unknown
)

var truthNames = [...]string{"false", "true", "unknown"}

// String returns the truth's name.
func (t Truth) String() string { return truthNames[t] }

func truthOf(ok bool) Truth {
	if ok {
		return True
	}
	return False
}

// not negates a truth.
func (t Truth) not() Truth {
	if t == Unknown {
		return Unknown
	}
	return t ^ 1
}

// Reason says why a value is not known.
type Reason struct {
	// Text is a sentence without a capital and a full stop.
	Text string
	// Passing tells that another run may know: it is not the place where the
	// events are seen that hides the value.
	Passing bool
	// StandIn tells that the value holds another one, to be taken where nothing
	// but values of its kind leaves a condition open; see [Machine.Assume].
	StandIn bool
	// None tells that what stands in is that there is no value.
	None bool
}
