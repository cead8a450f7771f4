// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/falcotest/go-falcotest/internal/event"
)

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
