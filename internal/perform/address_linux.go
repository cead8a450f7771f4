// SPDX-License-Identifier: Apache-2.0

package perform

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

// resolve adds to each address of a scenario what the kernel takes for it.
func (d *director) resolve() error {
	for i := range d.s.Resources {
		c := d.s.Resources[i].ClientServer
		if c == nil {
			continue
		}
		if c.Proto == "unix" {
			c.Address = "unix://" + filepath.Join(d.temp, d.s.Resources[i].Name+".sock")
		}
		var err error
		if c.Raw, err = socketAddress(c.Address); err != nil {
			return err
		}
	}
	for i := range d.s.Steps {
		call := d.s.Steps[i].Call
		if call == nil {
			continue
		}
		for _, a := range scenario.SyscallByName(call.Name).Args {
			v := call.Args[a.Name]
			if a.Kind != scenario.Address || v.Text == nil {
				continue
			}
			var err error
			if v.Address, err = socketAddress(*v.Text); err != nil {
				return err
			}
			call.Args[a.Name] = v
		}
	}
	return nil
}

// socketAddress is host:port, [host]:port or unix://path as the kernel takes it.
func socketAddress(address string) (b []byte, err error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		b = binary.NativeEndian.AppendUint16(b, unix.AF_UNIX)
		if name, ok := strings.CutPrefix(path, "@"); ok { // the abstract namespace
			return append(append(b, 0), name...), nil
		}
		return append(append(b, path...), 0), nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no socket address: %w", address, err)
	}
	if at.Addr().Is4() {
		b = binary.NativeEndian.AppendUint16(b, unix.AF_INET)
		b = binary.BigEndian.AppendUint16(b, at.Port())
		return append(append(b, at.Addr().AsSlice()...), make([]byte, 8)...), nil
	}
	b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
	b = binary.BigEndian.AppendUint16(b, at.Port())
	b = append(b, 0, 0, 0, 0)
	return append(append(b, at.Addr().AsSlice()...), 0, 0, 0, 0), nil
}
