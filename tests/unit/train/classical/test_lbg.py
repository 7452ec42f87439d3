"""Vector quantisation finds a codebook that was planted."""

import numpy as np
import pytest

from hemaline_train.classical.lbg import lbg_codebook, nearest_codeword

PLANTED = np.array([[0, 0, 0], [30, 20, 25], [150, 140, 160], [190, 180, 170]], float)
"""Pairs of pairs: what splitting in two and two again can reach."""


@pytest.fixture
def vectors():
    dice = np.random.default_rng(0)
    return np.repeat(PLANTED, 200, axis=0) + dice.normal(0, 2, (800, 3))


def test_a_planted_codebook_is_found(vectors):
    book = lbg_codebook(vectors, 4)
    nearest = np.linalg.norm(PLANTED[:, None] - book[None], axis=2).min(axis=1)
    assert nearest.max() < 1.0


def test_each_vector_gets_the_codeword_of_its_cluster(vectors):
    places = nearest_codeword(vectors, lbg_codebook(vectors, 4)).reshape(4, 200)
    assert (places == places[:, :1]).all()
    assert len(set(places[:, 0].tolist())) == 4


def test_more_codewords_never_distort_more(vectors):
    def distortion(size):
        book = lbg_codebook(vectors, size)
        return np.linalg.norm(vectors - book[nearest_codeword(vectors, book)], axis=1).mean()

    assert distortion(1) > distortion(2) > distortion(4) > distortion(8)


def test_equal_vectors_do_not_break_it():
    book = lbg_codebook(np.ones((10, 3)), 8)
    assert np.isfinite(book).all()
    assert np.abs(book - 1).max() < 0.01


def test_a_size_that_splitting_cannot_reach_is_refused(vectors):
    with pytest.raises(ValueError, match="not 6"):
        lbg_codebook(vectors, 6)
