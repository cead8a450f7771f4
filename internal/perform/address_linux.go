// SPDX-License-Identifier: Apache-2.0

package perform

import (
	"encoding/binary"
	"fmt"
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
			c.Address = "unix://" + filepath.Join(d.temp, fmt.Sprintf("%d.sock", i))
		}
		var err error
		if c.Raw, err = d.socketAddress(c.Address); err != nil {
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
			if v.Address, err = d.socketAddress(*v.Text); err != nil {
				return err
			}
			call.Args[a.Name] = v
		}
	}
	return nil
}

// socketAddress is an address of a scenario as the kernel takes it.
func (d *director) socketAddress(address string) ([]byte, error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		b := binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX)
		if name, ok := strings.CutPrefix(path, "@"); ok { // the abstract namespace
			return append(append(b, 0), name...), nil
		}
		return append(append(b, path...), 0), nil
	}
	if b := d.sockets[address]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%q is no socket address", address)
}
