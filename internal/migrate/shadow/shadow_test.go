package shadow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/shadow"
)

// page is a page of metrics with KEDA's and the scaler's value of a trigger; a negative one is left out.
func page(t *testing.T, keda, scaler float64) shadow.Page {
	t.Helper()
	text := "# TYPE other counter\nother 1\n"
	if keda >= 0 {
		text += fmt.Sprintf(`keda_scaler_metrics_value{metric="s1-redis-a",namespace="shop",scaledObject="mailer",scaler="redisScaler",triggerIndex="1",type="scaledobject"} %g`+"\n", keda)
		text += `keda_scaler_metrics_value{metric="composite-metric",namespace="shop",scaledObject="mailer",scaler="s",triggerIndex="",type="scaledobject"} 99` + "\n"
		text += `keda_scaler_metrics_value{metric="s1-redis-a",namespace="shop",scaledObject="mailer",scaler="redisScaler",triggerIndex="1",type="scaledjob"} 98` + "\n"
	}
	if scaler >= 0 {
		text += fmt.Sprintf(`backlog_scaler_trigger_value{connection="redis",namespace="shop",queue="a",scaledobject="shop.mailer.1",trigger="list-a"} %g`+"\n", scaler)
	}
	p, err := shadow.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestComparison: rounds of KEDA's value and ours, and what is said about them.
func TestComparison(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rounds       [][2]float64
		announced    []string
		want         string
		differ, none int
	}{
		"equal":             {[][2]float64{{5, 5}, {6, 6}}, nil, "shop/mailer  1        6     6       2       0         equal", 0, 0},
		"thousandths":       {[][2]float64{{0.333, 0.3333}}, nil, "equal", 0, 0},
		"KEDA is behind":    {[][2]float64{{0, 0}, {0, 7}, {7, 9}}, nil, "equal", 0, 0},
		"between two":       {[][2]float64{{0, 0}, {4, 9}}, nil, "equal", 0, 0},
		"too far behind":    {[][2]float64{{0, 0}, {0, 7}, {0, 7}, {0, 7}, {0, 7}}, nil, "shop/mailer  1        0     7       5       1         differs, and the report announced nothing", 1, 0},
		"announced":         {[][2]float64{{5, 7}}, []string{"count: more counts"}, "differs, as the report announced", 0, 0},
		"announced, equal":  {[][2]float64{{5, 5}}, []string{"count: more counts"}, "1       0         equal", 0, 0},
		"no value of KEDA":  {[][2]float64{{-1, 5}}, nil, "KEDA has no value", 0, 1},
		"no value of ours":  {[][2]float64{{5, -1}}, nil, "the scaler has no value for the watch shop.mailer.1", 0, 1},
		"no value":          {[][2]float64{{-1, -1}}, nil, "neither has a value", 0, 1},
		"no round":          {nil, nil, "the scaler has no value", 0, 1},
		"an end of outages": {[][2]float64{{-1, -1}, {5, 5}}, nil, "1       0         equal", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := shadow.New([]shadow.Trigger{{Namespace: "shop", Object: "mailer", Index: 1, Watch: "shop.mailer.1", Announced: tc.announced}}, 3)
			for _, r := range tc.rounds {
				c.Add(page(t, r[0], -1), page(t, -1, r[1]))
			}
			var b strings.Builder
			if err := c.Print(&b); err != nil {
				t.Fatal(err)
			}
			differ, never := c.Unexplained()
			if diff := cmp.Diff([2]int{tc.differ, tc.none}, [2]int{differ, never}); diff != "" || !strings.Contains(b.String(), tc.want) {
				t.Errorf("differ and never (-want +got):\n%s\nno %q in\n%s", diff, tc.want, b.String())
			}
			if said := strings.Contains(b.String(), "report: count: more counts"); said != (name == "announced") {
				t.Errorf("what the report said:\n%s", b.String())
			}
		})
	}
}

// TestNoNumbers: what is no number is unknown. It neither is 0 nor equals anything.
func TestNoNumbers(t *testing.T) {
	t.Parallel()
	const series = `keda_scaler_metrics_value{namespace="shop",scaledObject="mailer",triggerIndex="1",type="scaledobject"} `
	for name, text := range map[string]string{
		"NaN":       series + "NaN\n",
		"a counter": "# TYPE keda_scaler_metrics_value counter\n" + series + "5\n",
	} {
		keda, err := shadow.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		c := shadow.New([]shadow.Trigger{{Namespace: "shop", Object: "mailer", Index: 1, Watch: "shop.mailer.1"}}, 3)
		c.Add(keda, page(t, -1, 0))
		if differ, never := c.Unexplained(); differ != 0 || never != 1 {
			t.Errorf("%s: %d differ and %d were never compared, want 0 and 1", name, differ, never)
		}
	}
}

// TestParseError: a page that is none.
func TestParseError(t *testing.T) {
	t.Parallel()
	if _, err := shadow.Parse(strings.NewReader("<html>\x1b\n")); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("error %q", err)
	}
}
