package config

import (
	"slices"
	"strings"
)

// limits checks the limits that people set against their channels.
func (x *crosscheck) limits(all []Limit) {
	for i := range all {
		l := &all[i]
		path := "limits." + l.Channel
		ch := x.channel(l.Channel, path)
		for _, p := range l.Phases {
			if !slices.Contains(phases, p) {
				x.at(path+".phases", complaint{message: printable(p) + " is no phase", allowed: strings.Join(phases, ", "), nearest: nearest(p, phases)})
			}
		}
		if l.High == nil && l.Low == nil && x.sound(path) {
			x.at(path, complaint{message: "neither high nor low is set", allowed: "high, low or both"})
		}
		if ch == nil || ch.Unit.Symbol == "" {
			continue // reported already
		}
		x.measures(l.High, ch.Unit, "channel", path+".high")
		x.measures(l.Low, ch.Unit, "channel", path+".low")
		if l.High != nil && l.Low != nil && l.High.Unit.Dim == l.Low.Unit.Dim && l.Low.SI() >= l.High.SI() {
			x.at(path+".high", complaint{message: "not above low, which is " + l.Low.String()})
		}
		x.differs(l.Deadband, ch.Unit, path+".deadband")
	}
}
