// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"net/netip"
	"sync/atomic"

	"github.com/falcotest/go-falcotest/internal/event"
)

// isLocal tells whether an address is one of the machine's, or of the event's
// container. Of a container whose address is not known, Falco takes none for
// local (but of one that it shares with this process, the addresses are this
// process's), and no IPv6 address of any container.
func isLocal(e *event.Event, a netip.Addr) bool {
	if p := proc(e); p != nil && p.Container != nil && !p.Container.Own {
		if p.Container.IP == "" || a.Is6() {
			return false
		}
		if ip, err := netip.ParseAddr(p.Container.IP); err == nil && ip == a {
			return true
		}
	}
	return e.Machine().HasAddr(a)
}

// textCache remembers texts made of numbers, of which programs use few: the
// names of flags and of capabilities. It is bounded and safe for concurrent use.
type textCache struct {
	slots [256]atomic.Pointer[cachedText]
}

type cachedText struct {
	key  textKey
	text string
}

type textKey struct {
	table uint32 // what the number is of
	value uint64
}

func (c *textCache) get(k textKey, make func() string) string {
	slot := &c.slots[k.hash()]
	if t := slot.Load(); t != nil && t.key == k {
		return t.text
	}
	t := &cachedText{k, make()}
	slot.Store(t)
	return t.text
}

func (k textKey) hash() uint8 {
	return uint8((k.value ^ uint64(k.table)*0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 >> 56)
}

var texts textCache

const capTable = 1 << 31

func capNames(set uint64) string {
	if set == 0 {
		return ""
	}
	return texts.get(textKey{capTable, set}, func() string { return event.CapNames(set) })
}

// paramText is evt.arg's text of a parameter. That of flags, enumerations and
// modes depends on the number alone.
func paramText(e *event.Event, i int) string {
	d, p := &e.Def().Params[i], &e.Params[i]
	if !p.Null && !e.ByNumber && (d.Type.IsFlags() || d.Type.IsEnum()) {
		k := textKey{uint32(e.Type)<<8 | uint32(i), uint64(p.Num)}
		if t := texts.slots[k.hash()].Load(); t != nil && t.key == k {
			return t.text
		}
		return texts.get(k, func() string { return e.ParamValue(i) })
	}
	return e.ParamValue(i)
}
