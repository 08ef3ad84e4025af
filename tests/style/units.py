#!/usr/bin/env python3
# beside: yes
"""Every line of the unit files is one that was reviewed, and none of those is missing."""

import unittest

from support import tap, units


class Units(unittest.TestCase):
    def test_each_line_is_as_it_was_reviewed(self):
        found = [fault for unit in units.UNITS
                 for fault in units.differences(unit, units.text_of(unit))]
        self.assertFalse(found, "\n".join(found))

    def test_each_file_is_reviewed(self):
        files = {path.name.removesuffix(".in") for path in units.DIRECTORY.iterdir()
                 if path.name.startswith("orderd-")}
        self.assertEqual(files, set(units.UNITS))

    def test_the_user_is_a_system_user_of_its_own(self):
        self.assertEqual((units.DIRECTORY / "orderd.sysusers").read_text(), units.SYSUSERS)


class PlantedFaults(unittest.TestCase):
    def test_a_line_that_is_taken_out_or_changed_or_doubled_is_found(self):
        for unit in units.UNITS:
            text = units.text_of(unit)
            lines = units.lines_of(text)
            self.assertEqual(len(lines), len(set(lines)))
            for _, line in lines:
                for planted in ("", line + "0\n", line + "\n" + line + "\n", "#" + line + "\n"):
                    with self.subTest((unit, line, planted)):
                        self.assertTrue(units.differences(
                            unit, text.replace(line + "\n", planted, 1)))

    def test_a_line_in_another_section_is_found(self):
        text = units.text_of("orderd-receive.socket")
        self.assertTrue(units.differences(
            "orderd-receive.socket", text.replace("[Socket]", "[Service]")))

    def test_what_systemd_does_not_show_is_found(self):
        unit = "orderd-receive.socket"
        shown = "\n".join(line.shown for line in units.UNITS[unit])
        self.assertEqual(units.misunderstood(unit, shown), [])
        for line in units.UNITS[unit]:
            if line.shown:
                with self.subTest(line.text):
                    self.assertTrue(units.misunderstood(unit, shown.replace(line.shown, "x=y")))


if __name__ == "__main__":
    tap.main()
