package model

import (
	"strings"
	"testing"
)

// Two models are compared on what both need, and only where they forecast the same in the same units.
func TestChannelsOfTwoModels(t *testing.T) {
	power, speed, watt := Input{Name: SpindlePower, Unit: "W"}, Input{Name: SpindleSpeed, Unit: "rpm"}, Input{Name: SpindlePower, Unit: "kW"}
	tool, plate := Output{Name: ToolTemperature, Unit: "°C"}, Output{Name: "plate temperature", Unit: "°C"}
	a := Channels{[]Input{power}, []Output{tool}, tool.Name}
	all, err := a.With(Channels{[]Input{speed, power}, []Output{plate, tool}, plate.Name})
	if err != nil || len(all.Inputs) != 2 || len(all.Outputs) != 2 || all.Leading != tool.Name || len(a.Outputs) != 1 || all.Inputs[0].Name != power.Name || all.Inputs[1].Name != speed.Name || len(a.Inputs) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	for want, b := range map[string]Channels{
		"they forecast different things: tool temperature, and plate temperature": {a.Inputs, []Output{plate}, ""},
		"one forecasts the tool temperature in °C, the other in °F":               {a.Inputs, []Output{{Name: ToolTemperature, Unit: "°F"}}, ""},
		"one takes the spindle power in W, the other in kW":                       {[]Input{watt}, a.Outputs, ""},
	} {
		if _, err := a.With(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
