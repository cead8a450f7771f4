// SPDX-License-Identifier: Apache-2.0

// Package capture reads and writes recordings of system calls (.scap files, as
// Falco, sysdig and their libraries write them) and makes of them the events
// that a tracer would have made of the calls themselves.
//
// A [Reader] takes a recording apart into blocks and events, whatever version
// wrote it, and converts events of old versions to the current one. A [Player]
// keeps the state that Falco's libraries keep (threads, descriptors, accounts,
// containers), from the recording's tables and from each event, and gives the
// events with it, one after another, as [event.Event]s whose World is the
// recording. Both stream: memory is bounded by the number of threads and open
// descriptors that the recording knows at once. A [Writer] writes a recording.
//
// What cannot be read is an [Error] that tells the offset and how many events
// came before it; a recording without its end is one too, so that nobody takes a
// part for the whole.
//
// The format's facts come from the libraries that Falco 0.43 is built with
// (libscap's savefile, libsinsp's parsers). The package imports internal/config, internal/event
// and nothing else of this module, and works on every system.
package capture
