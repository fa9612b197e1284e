package agent

import (
	"encoding/json"
	"math"
	"strconv"
)

// Number is a float64 that goes over the socket. JSON knows neither NaN nor infinity: what is not known is null.
type Number float64

// MarshalJSON implements [json.Marshaler].
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements [json.Unmarshaler]: null is NaN.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	*n = Number(v)
	return err
}

// loopStatus is a [LoopStatus] as it goes over the socket.
type loopStatus struct {
	Name       string `json:"name"`
	Target     string `json:"target"`
	Mode       Mode   `json:"mode"`
	Auto       Mode   `json:"auto_mode"`
	Commands   bool   `json:"commands"`
	Why        string `json:"why"`
	Goal       Number `json:"goal"`
	Output     Number `json:"output"`
	OutputUnit string `json:"output_unit"`
	Wanted     Number `json:"wanted"`
	Held       Number `json:"held"`
	TargetUnit string `json:"target_unit"`
	Predicted  Number `json:"predicted"`
	Without    Number `json:"without"`
	Horizon    Number `json:"horizon_s"`
	Accepted   Number `json:"accepted"`
	Declined   Number `json:"declined"`
}

// MarshalJSON implements [json.Marshaler]: what is not known is null.
func (s LoopStatus) MarshalJSON() ([]byte, error) {
	return json.Marshal(loopStatus{s.Name, s.Target, s.Mode, s.Auto, s.Commands, s.Why, Number(s.Goal), Number(s.Output), s.OutputUnit, Number(s.Wanted), Number(s.Held),
		s.TargetUnit, Number(s.Predicted), Number(s.Without), Number(s.Horizon), Number(s.Accepted), Number(s.Declined)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *LoopStatus) UnmarshalJSON(text []byte) error {
	var x loopStatus
	err := json.Unmarshal(text, &x)
	*s = LoopStatus{x.Name, x.Target, x.Mode, x.Auto, x.Commands, x.Why, float64(x.Goal), float64(x.Output), x.OutputUnit, float64(x.Wanted), float64(x.Held),
		x.TargetUnit, float64(x.Predicted), float64(x.Without), float64(x.Horizon), float64(x.Accepted), float64(x.Declined)}
	return err
}
