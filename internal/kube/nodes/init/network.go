// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// The names of the plugins. The first is one that container runtimes ask for
// whatever they are told.
const (
	loopback = "loopback"
	network  = "falcotest"
)

// plugin is a plugin of the Container Network Interface. A pod gets its loopback
// interface and, on that, an address of its own: it reaches itself and nobody
// else, which needs no interface on the machine, no route and no packet filter.
func plugin(name string) error {
	var config struct {
		Version string `json:"cniVersion"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&config); err != nil {
		return fmt.Errorf("reading the network's configuration: %w", err)
	}
	answer := map[string]any{"cniVersion": config.Version}
	switch command := os.Getenv("CNI_COMMAND"); command {
	case "VERSION":
		answer["supportedVersions"] = []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0"}
	case "ADD":
		address := netip.MustParsePrefix("127.0.0.1/8")
		if name == network {
			address = podAddress(os.Getenv("CNI_CONTAINERID"))
		}
		if err := addAddress(os.Getenv("CNI_NETNS"), name, address.Addr()); err != nil {
			return err
		}
		answer["interfaces"] = []any{map[string]any{"name": os.Getenv("CNI_IFNAME"), "sandbox": os.Getenv("CNI_NETNS")}}
		answer["ips"] = []any{map[string]any{"version": "4", "interface": 0, "address": address.String()}}
	default: // DEL and CHECK: the namespace goes with all that it has
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// podAddress is the address of a pod: one of the 16 million of 10.0.0.0/8, so
// that two pods have the same by bad luck alone, which would harm neither.
func podAddress(id string) netip.Prefix {
	h := fnv.New32a()
	h.Write([]byte(id))
	sum := h.Sum32()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(sum >> 16), byte(sum >> 8), byte(sum)}), 32)
}

// setns is the number of the system call, which package syscall does not have.
var setns = map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]

// addAddress brings the loopback interface of a network namespace up, and gives
// it another address.
func addAddress(namespace, name string, address netip.Addr) error {
	ns, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	if _, _, errno := syscall.RawSyscall(setns, ns.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("entering network namespace %s: %w", namespace, errno)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := interfaceRequest{name: [16]byte{'l', 'o'}}
	if name == network {
		copy(request.name[:], "lo:0")
		binary.NativeEndian.PutUint16(request.data[:], syscall.AF_INET)
		ip := address.As4()
		copy(request.data[4:], ip[:])
		if err := ioctl(fd, syscall.SIOCSIFADDR, &request); err != nil {
			return fmt.Errorf("adding address %s: %w", address, err)
		}
		return nil
	}
	binary.NativeEndian.PutUint16(request.data[:], syscall.IFF_UP|syscall.IFF_RUNNING)
	if err := ioctl(fd, syscall.SIOCSIFFLAGS, &request); err != nil {
		return fmt.Errorf("bringing the loopback interface up: %w", err)
	}
	return nil
}

// interfaceRequest is struct ifreq of netdevice(7).
type interfaceRequest struct {
	name [16]byte
	data [24]byte
}

func ioctl(fd int, request uintptr, argument *interfaceRequest) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(argument))); errno != 0 {
		return errno
	}
	return nil
}
