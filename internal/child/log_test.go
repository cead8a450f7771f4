// SPDX-License-Identifier: Apache-2.0

package child

import (
	"strings"
	"testing"
)

// Of a log of a gigabyte, its end is kept, and long entries are cut.
func TestLogIsBounded(t *testing.T) {
	passed := 0
	c := &Child{spec: Spec{Log: func(Record) { passed++ }}}
	text := strings.Repeat("x", 10<<10)
	const entries = 100_000
	for range entries {
		c.keep(Record{Level: "info", Message: text})
	}
	c.keep(Record{Level: "info", Message: strings.Repeat("ö", maxEntry), Fields: map[string]string{"f": strings.Repeat("x", maxEntry+7)}})
	total := 0
	for _, r := range c.log {
		total += size(r)
	}
	if total > maxLog || total != c.logSize || len(c.log)+c.leftOut != entries+1 || passed != entries+1 {
		t.Errorf("%d bytes are kept in %d entries, %d were left out, %d passed on", total, len(c.log), c.leftOut, passed)
	}
	last := c.log[len(c.log)-1]
	if !strings.HasSuffix(last.Message, "… and 65536 bytes more") || !strings.HasSuffix(last.Fields["f"], "x… and 7 bytes more") {
		t.Errorf("the last entry ends in %q and %q", last.Message[len(last.Message)-30:], last.Fields["f"][maxEntry-5:])
	}
}
