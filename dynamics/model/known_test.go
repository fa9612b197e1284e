package model

import (
	"strings"
	"testing"
)

// Two models are compared on what both need, and only where they forecast the same in the same units.
func TestChannelsOfTwoModels(t *testing.T) {
	power, speed, watt := Input{Name: SpindlePower, Unit: "W"}, Input{Name: SpindleSpeed, Unit: "rpm"}, Input{Name: SpindlePower, Unit: "kW"}
	tool, plate := Output{Name: ToolTemperature, Unit: "°C"}, Output{Name: "plate temperature", Unit: "°C"}
	a := Channels{[]Input{power}, []Output{tool}}
	all, err := a.With(Channels{[]Input{speed, power}, []Output{tool}})
	if err != nil || len(all.Inputs) != 2 || all.Inputs[0].Name != power.Name || all.Inputs[1].Name != speed.Name || len(a.Inputs) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	for want, b := range map[string]Channels{
		"the other 2":                                       {a.Inputs, []Output{tool, plate}},
		"the other the plate temperature in °C":             {a.Inputs, []Output{plate}},
		"one takes the spindle power in W, the other in kW": {[]Input{watt}, a.Outputs},
	} {
		if _, err := a.With(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
