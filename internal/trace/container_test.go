// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	pathpkg "path"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/event"
)

func TestContainerID(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, test := range []struct{ path, id, typ string }{
		{"/", "", ""},
		{"/init.scope", "", ""},
		{"/user.slice/user-1000.slice/session-3.scope", "", ""},
		{"/system.slice/docker.service", "", ""},
		{"/docker/" + hex, hex, "docker"},
		{"/system.slice/docker-" + hex + ".scope", hex, "docker"},
		{"/machine.slice/libpod-" + hex + ".scope", hex, "podman"},
		{"/machine.slice/libpod-" + hex + ".scope/container", hex, "podman"},
		{"/kubepods/besteffort/pod1/" + hex, hex, "containerd"},
		{"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + hex + ".scope", hex, "containerd"},
		{"/kubepods.slice/crio-" + hex + ".scope", hex, "cri-o"},
		{"/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:" + hex, hex, "containerd"},
		{"/default/web", "web", "containerd"},
		{"/lxc.payload.name/init.scope", "name", "lxc"},
	} {
		if id, typ := event.ContainerID(test.path); id != test.id || typ != test.typ {
			t.Errorf("%s: got %q of %q, want %q of %q", test.path, id, typ, test.id, test.typ)
		}
	}
}

func newTestTracer() *tracer { return &tracer{strings: make(map[string]string)} }

func TestAbsolute(t *testing.T) {
	tr := newTestTracer()
	for _, test := range []struct{ dir, name, want string }{
		{"/root", "", ""},
		{"/root", "file", "/root/file"},
		{"/root", "./file", "/root/file"},
		{"/root", "../file", "/file"},
		{"/root", "../../../file", "/file"},
		{"/", "file", "/file"},
		{"/root", "/etc//./passwd", "/etc/passwd"},
		{"/root", "/etc/../etc/passwd", "/etc/passwd"},
		{"/root", "/etc/", "/etc"},
		{"/root", "/", "/"},
		{"/root", "//", "/"},
		{"/root", ".", "/root"},
		{"/root", "..", "/"},
		{"/root", "/a/.hidden/..x/...", "/a/.hidden/..x/..."},
		{"", "file", "file"},
		{"memfd:x", "file", "memfd:x/file"},
	} {
		if got := tr.absolute(test.dir, test.name); got != test.want {
			t.Errorf("%q in %q: got %q, want %q", test.name, test.dir, got, test.want)
		}
	}
}

func FuzzAbsolute(f *testing.F) {
	f.Add("/root", "../etc/./passwd")
	f.Add("/", "//..//x")
	f.Fuzz(func(t *testing.T, dir, name string) {
		got := newTestTracer().absolute(dir, name)
		if name == "" || !strings.HasPrefix(dir, "/") {
			return
		}
		want := pathpkg.Clean(name)
		if name[0] != '/' {
			want = pathpkg.Clean(pathpkg.Clean(dir) + "/" + name)
		}
		if pathpkg.Clean(dir) == dir && got != want {
			t.Errorf("%q in %q: got %q, want %q", name, dir, got, want)
		}
	})
}

func FuzzSplitStrings(f *testing.F) {
	f.Add([]byte("cat\x00-n\x00"), 4096)
	f.Add([]byte("cat"), 2)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		if limit <= 0 {
			return
		}
		n := 0
		for _, s := range newTestTracer().splitStrings(b, limit) {
			n += len(s) + 1
		}
		if n > limit+1 {
			t.Errorf("%d bytes of strings, the limit is %d", n, limit)
		}
	})
}
