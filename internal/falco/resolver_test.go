// SPDX-License-Identifier: Apache-2.0

package falco

import (
	"context"
	"net"
	"slices"
	"testing"
)

func TestUnanswered(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	resolver := func(address string) *net.Resolver {
		return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", address)
		}}
	}
	if !unanswered(t.Context(), resolver(silent.LocalAddr().String())) {
		t.Error("a name server that says nothing is taken for one that answers")
	}
	// One that refuses fails at once, which is no wait.
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if unanswered(t.Context(), resolver(closed.LocalAddr().String())) {
		t.Error("a port where nobody listens is taken for a name server that says nothing")
	}
	t.Setenv("RES_OPTIONS", "")
	if got := environment(nil, true); !slices.Contains(got, giveUp) {
		t.Error("its resolver waits")
	}
	if got := environment(nil, false); slices.Contains(got, giveUp) {
		t.Error("its resolver does not wait for name servers that answer")
	}
	t.Setenv("RES_OPTIONS", "timeout:3")
	if got := environment(nil, true); slices.Contains(got, giveUp) {
		t.Error("the user's RES_OPTIONS was replaced")
	}
}
