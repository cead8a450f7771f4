// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/falcotest/go-falcotest/internal/event"
)

// Accounts of containers are of no use to a Falco that replays.
func TestAccountsOfContainers(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{})
	list := scenario()
	w.learn(list[0])
	w.tables()
	w.began = true
	w.userAdded(testTime, 7, 7, &event.User{Name: "alice"}, "")
	w.userAdded(testTime, 8, 8, &event.User{Name: "bob"}, "0123456789ab")
	if err := w.Event(list[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	inside := &event.Process{Container: &event.Container{ID: "0123456789ab"}}
	if _, err := playAll(bytes.NewReader(out.Bytes()), func(e *event.Event) {
		for _, account := range []struct {
			of    *event.Process
			uid   uint32
			known bool
		}{{nil, 7, true}, {nil, 8, false}, {inside, 7, false}, {inside, 8, false}} {
			if u, ok := e.World.User(account.of, account.uid); ok != account.known {
				t.Errorf("user %d in %v is %v", account.uid, account.of, u)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// What a recording says of a container joins what its control group told.
func TestContainerEvent(t *testing.T) {
	s := newState()
	known := s.container("0123456789abcdef", "docker")
	s.containerEvent([]byte("no JSON"))
	s.containerEvent([]byte(`{"container":{}}`))
	s.containerEvent([]byte(`{"container":{"type":0,"id":"0123456789ab","name":"web","image":"nginx:1","imagerepo":"nginx","imagetag":"1","privileged":true,
		"Mounts":[{"Source":"/etc","Destination":"/host/etc","Mode":"ro","RW":false,"Propagation":"rprivate"}],
		"labels":{"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}}}` + "\x00"))
	want := &event.Container{
		ID: "0123456789ab", FullID: "0123456789abcdef", Type: "docker", Name: "web", Image: "nginx:1", Repository: "nginx", Tag: "1", Privileged: true,
		Mounts:  []event.Mount{{Source: "/etc", Dest: "/host/etc", Mode: "ro", Propagation: "rprivate"}},
		Labels:  map[string]string{"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"},
		PodName: "web-0", PodNamespace: "shop", Complete: true,
	}
	if diff := cmp.Diff(want, known, cmpopts.IgnoreUnexported(event.Container{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
