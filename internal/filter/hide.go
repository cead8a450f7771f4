// SPDX-License-Identifier: Apache-2.0

package filter

// Hide returns a source of which some fields are not known: of those for whose
// names, without arguments, why returns a reason. With it, a condition can be
// evaluated as by somebody who does not know them.
func Hide(src Source, why func(field string) *Reason) Source {
	h := hiding{src, why}
	if typed, ok := src.(EventTyper); ok {
		return typedHiding{h, typed}
	}
	return h
}

type hiding struct {
	Source
	why func(string) *Reason
}

type typedHiding struct {
	hiding
	EventTyper
}

// Field hides the field, if it is to be.
func (h hiding) Field(name, arg string, hasArg bool) (*Field, error) {
	f, err := h.Source.Field(name, arg, hasArg)
	if err != nil {
		return nil, err
	}
	reason := h.why(name)
	if reason == nil {
		return f, nil
	}
	hidden := *f
	hidden.Get = func(_ any, v *Value) bool {
		v.Unknown = reason
		return false
	}
	return &hidden, nil
}
