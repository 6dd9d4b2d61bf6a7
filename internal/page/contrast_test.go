package page

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestContrast: texts have the contrast that WCAG 2.2 asks for, 4.5, in both themes.
func TestContrast(t *testing.T) {
	t.Parallel()
	style, err := os.ReadFile("assets/page.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string][2]string{}
	for _, found := range regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(string(style), -1) {
		colours[found[1]] = [2]string{found[2], found[3]}
	}
	for _, pair := range [][2]string{
		{"text", "back"},
		{"text", "card"},
		{"text", "soft"},
		{"text", "banner"},
		{"quiet", "back"},
		{"quiet", "card"},
		{"quiet", "soft"},
		{"accent", "back"},
		{"accent", "card"},
		{"accent", "soft"},
		{"accent", "banner"},
		{"good", "card"},
		{"good", "soft"},
		{"bad", "card"},
		{"bad", "soft"},
		{"bad", "banner"},
		{"warn", "card"},
		{"warn", "soft"},
	} {
		for theme, name := range []string{"light", "dark"} {
			front, back := colours[pair[0]][theme], colours[pair[1]][theme]
			if front == "" || back == "" {
				t.Fatalf("no colour %v", pair)
			}
			if got := contrast(luminance(t, front), luminance(t, back)); got < 4.5 {
				t.Errorf("%s on %s, %s: the contrast is %.2f", pair[0], pair[1], name, got)
			}
		}
	}
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

// luminance is that of https://www.w3.org/TR/WCAG22/#dfn-relative-luminance.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			sum += weight * c / 12.92
			continue
		}
		sum += weight * math.Pow((c+0.055)/1.055, 2.4)
	}
	return sum
}
