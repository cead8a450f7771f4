// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestSocketAddress(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.10:80":    "020000 50cb00710a0000000000000000",
		"[2001:db8::1]:8080": "0a001f9000000000 20010db800000000000000000000000100000000",
	} {
		got := fmt.Sprintf("%x", socketAddress(netip.MustParseAddrPort(address)))
		if want := strings.ReplaceAll(want, " ", ""); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}
