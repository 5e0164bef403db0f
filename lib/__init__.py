"""Hybrid-batch training of multilingual retrievers: train, measure, audit, and show the evidence.

Data flows one way through the modules, and none imports one that comes after it:
``config -> data -> encoders -> sampling -> training -> embedding -> search -> metrics, bias -> tables ->
figures``; ``artifacts`` (an atomic, content-addressed store) lies under all of them.
"""
