package twin

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func recording(t testing.TB) string {
	t.Helper()
	dir, _ := os.Getwd()
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	p := filepath.Join(dir, "..", "shared", "data", "20250708104310.csv")
	if _, err := os.Stat(p); err != nil {
		t.Skipf("the recording is not here: %s", p)
	}
	return p
}

func TestLook(t *testing.T) {
	plan, err := ReadTrace(recording(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := Replay(p, 1, plan)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%+v\n%+v\n", Measure(plan, HeldFrom, HeldTo), Measure(tr, HeldFrom, HeldTo))
	for i := range tr.At {
		if i < 40 || i%20 == 0 || i > 1055 && i%4 == 0 {
			fmt.Printf("%4.0f  T %6.1f %6.1f  rpm %4.0f %4.0f  trq %4.0f %4.0f  P %6.0f %6.0f  ft %3.0f %3.0f low %3.0f %3.0f\n", tr.At[i], plan.Temp[i], tr.Temp[i], plan.RPM[i], tr.RPM[i], plan.Torque[i], tr.Torque[i], plan.Power[i], tr.Power[i], plan.FeedTrq[i], tr.FeedTrq[i], plan.Low[i], tr.Low[i])
		}
	}
}
