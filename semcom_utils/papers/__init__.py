"""What is one paper's alone, one package a paper: its scenario, its studies, its errata.

A package's name is the paper's key, the same everywhere: ``data/claims/<key>.yml``, ``data/results/<key>/``, and this
folder. ``foundations`` holds what belongs to the chapters before the papers, ``book`` what compares the papers: it
alone may import them, and none of them it. Each package lists its studies under
``STUDIES`` without importing them, so that a listing costs nothing; the engines (:mod:`semcom_utils.studies`,
:mod:`semcom_utils.ledger`) find them here, by no paper's name.
"""
