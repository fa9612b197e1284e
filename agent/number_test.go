package agent

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// What a loop does comes over the socket as it was, and what is not known as NaN.
func TestLoopStatusOverTheSocket(t *testing.T) {
	var want LoopStatus
	v := reflect.ValueOf(&want).Elem()
	for i := range v.NumField() { // each field another value: none is mixed up or left out
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Float64:
			f.SetFloat(float64(i) + 0.5)
		}
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got LoopStatus
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	want.Predicted, want.Held = math.NaN(), math.Inf(1)
	if text, err = json.Marshal(want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil || !math.IsNaN(got.Predicted) || !math.IsNaN(got.Held) || got.Goal != want.Goal {
		t.Errorf("%+v, %v", got, err)
	}
}
