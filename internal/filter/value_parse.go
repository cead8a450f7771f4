// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxValue is how long a value in a condition may be, in bytes: Falco refuses
// longer ones.
const maxValue = 255

// parseValue turns a value as written in a condition into one of type t.
func parseValue(t Type, op Op, s string) (v Value, net netip.Prefix, err error) {
	if len(s) > maxValue {
		return v, net, fmt.Errorf("the value is longer than %d bytes", maxValue)
	}
	switch {
	case op == OpBContains || op == OpBStartsWith:
		b, err := hex.DecodeString(s)
		if err != nil {
			return v, net, fmt.Errorf("'%s' is not a string of hexadecimal digits, which %s needs", s, op)
		}
		v.Str = string(b)
	case isString(t):
		v.Str = s
	case t == Bool:
		switch s {
		case "true":
			v.Num = 1
		case "false":
		default:
			return v, net, fmt.Errorf("'%s' is not a boolean value: write true or false", s)
		}
	case t == Port:
		v.Num, err = parsePort(s)
	case t == Double:
		v.Num, err = parseNumber(Int32, s)
		v.Float = float64(v.Num)
	case isNumber(t):
		v.Num, err = parseNumber(t, s)
	case t == IPAddr:
		v.Addr, err = netip.ParseAddr(s)
		if err != nil || v.Addr.Zone() != "" || strings.Contains(s, ".") && !v.Addr.Is4() {
			err = fmt.Errorf("'%s' is not an IP address", s)
		}
	case t == IPNet:
		net, err = netip.ParsePrefix(s)
		if err != nil {
			err = fmt.Errorf("'%s' is not an IP network: write address/bits", s)
		}
	default:
		err = fmt.Errorf("values of type %s cannot be compared", t)
	}
	return v, net, err
}

// parseNumber reads decimal numbers. As in Falco, a value that does not fit is
// cut to the type's width, and the unsigned types take a minus sign.
// Hexadecimal numbers are part of Falco's grammar, but no field accepts them.
func parseNumber(t Type, s string) (int64, error) {
	digits := strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	}
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		if n, err := strconv.ParseUint(digits[2:], 16, 64); err == nil {
			return 0, fmt.Errorf("'%s' is not a valid number: Falco reads decimal numbers only, write %d", s, n)
		}
	}
	u, err := strconv.ParseUint(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		u, err = math.MaxUint64, nil
	}
	if err != nil || digits[0] == '+' || digits[0] == '-' || digits[0] == '_' {
		return 0, fmt.Errorf("'%s' is not a valid number", s)
	}
	n := int64(u)
	if negative {
		n = -n
	}
	switch t {
	case Int8:
		n = int64(int8(n))
	case Int16:
		n = int64(int16(n))
	case Int32:
		n = int64(int32(n))
	case Uint8:
		n = int64(uint8(n))
	case Uint16:
		n = int64(uint16(n))
	case Uint32:
		n = int64(uint32(n))
	}
	return n, nil
}

// parsePort reads a port's number or the name of a service.
func parsePort(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if strings.Trim(s, "0123456789") == "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("'%s' is not a valid port", s)
		}
		return int64(uint16(n)), nil
	}
	// The resolver reads a table of its own and /etc/services; it asks nobody.
	if IsBareString(s) {
		for _, network := range []string{"tcp", "udp"} {
			if n, err := net.DefaultResolver.LookupPort(context.Background(), network, s); err == nil {
				return int64(n), nil
			}
		}
	}
	return 0, fmt.Errorf("'%s' is neither a port nor a known service", s)
}
