// SPDX-License-Identifier: Apache-2.0

package perform

import (
	"fmt"
	"strings"
	"testing"
)

func TestSocketAddress(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.10:80":    "020000 50cb00710a0000000000000000",
		"[2001:db8::1]:8080": "0a001f9000000000 20010db800000000000000000000000100000000",
		"unix:///x":          "01002f7800",
		"unix://@x":          "01000078",
	} {
		b, err := socketAddress(address)
		got := fmt.Sprintf("%x", b)
		if want := strings.ReplaceAll(want, " ", ""); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", address, got, err, want)
		}
	}
	for _, address := range []string{"", "203.0.113.10", "localhost:80", "203.0.113.10:65536"} {
		if b, err := socketAddress(address); err == nil {
			t.Errorf("%q is %x, want an error", address, b)
		}
	}
}
