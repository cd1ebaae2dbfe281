"""Tests; a package so that helpers are found by name from any of its folders."""
