package serialport

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.bug.st/serial"
)

// PortInfo describes one serial port of this computer. What is not known is "".
type PortInfo struct {
	Path                  string // e.g. /dev/ttyACM0
	ByID                  string // link below /dev/serial/by-id that stays when the port is renumbered
	Driver                string // of the kernel
	VID, PID              string // USB vendor and product, four hexadecimal digits
	Serial                string // USB serial number
	Manufacturer, Product string
}

// listTime bounds the listing: reading the attributes of a dying USB device can hang.
const listTime = 5 * time.Second

// Ports lists the serial ports that have hardware behind them, USB ports first. On Linux it
// reads what the kernel says of them and opens none: opening disturbs the device, and takes
// seconds on a dead one.
func Ports() ([]PortInfo, error) {
	type result struct {
		ports []PortInfo
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		if _, err := os.Stat("/sys/class/tty"); err == nil {
			r.ports, r.err = portsBelow("/")
		} else {
			r.ports, r.err = portsOpened()
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r.ports, r.err
	case <-time.After(listTime):
		return nil, fmt.Errorf("listing the serial ports takes longer than %v: a device hangs; unplug the last one", listTime)
	}
}

// portsBelow reads /sys/class/tty and /dev/serial/by-id below root.
func portsBelow(root string) ([]PortInfo, error) {
	entries, err := os.ReadDir(filepath.Join(root, "sys/class/tty"))
	if err != nil {
		return nil, fmt.Errorf("listing the serial ports: %w", err)
	}
	links := map[string]string{}
	byID := filepath.Join(root, "dev/serial/by-id")
	if found, err := os.ReadDir(byID); err == nil { // absent where no USB port is plugged in
		for _, e := range found {
			if to, err := os.Readlink(filepath.Join(byID, e.Name())); err == nil {
				links[filepath.Base(to)] = "/dev/serial/by-id/" + e.Name()
			}
		}
	}
	var ports []PortInfo
	for _, e := range entries {
		tty := filepath.Join(root, "sys/class/tty", e.Name())
		device, err := filepath.EvalSymlinks(filepath.Join(tty, "device"))
		if err != nil {
			continue // a terminal without hardware
		}
		if attribute(tty, "type") == "0" {
			continue // a place for a port that is not fitted, ttyS of most computers
		}
		p := PortInfo{Path: "/dev/" + e.Name(), ByID: links[e.Name()]}
		if driver, err := os.Readlink(filepath.Join(device, "driver")); err == nil {
			p.Driver = filepath.Base(driver)
		}
		// The USB device stands one to three folders above its interface's port.
		for dir, i := device, 0; i < 4 && p.VID == ""; dir, i = filepath.Dir(dir), i+1 {
			p.VID, p.PID = attribute(dir, "idVendor"), attribute(dir, "idProduct")
			p.Serial, p.Manufacturer, p.Product = attribute(dir, "serial"), attribute(dir, "manufacturer"), attribute(dir, "product")
		}
		ports = append(ports, p)
	}
	slices.SortStableFunc(ports, func(a, b PortInfo) int {
		if (a.VID == "") != (b.VID == "") {
			if a.VID != "" {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Path, b.Path)
	})
	return ports, nil
}

func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func portsOpened() ([]PortInfo, error) {
	names, err := serial.GetPortsList()
	if err != nil {
		return nil, fmt.Errorf("listing the serial ports: %w", err)
	}
	var ports []PortInfo
	for _, n := range names {
		ports = append(ports, PortInfo{Path: n})
	}
	return ports, nil
}
