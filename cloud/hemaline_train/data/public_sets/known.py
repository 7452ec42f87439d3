"""Every public data set whose published layout can be read."""

from hemaline_train.data.public_sets.all_idb import ALL_IDB1, ALL_IDB2
from hemaline_train.data.public_sets.aml_lmu import AML_LMU
from hemaline_train.data.public_sets.aria import ARIA_ALL
from hemaline_train.data.public_sets.c_nmc import C_NMC
from hemaline_train.data.public_sets.layout import PublicSet
from hemaline_train.data.public_sets.pbc import BLOOD_MNIST, PBC
from hemaline_train.data.public_sets.raabin import RAABIN

PUBLIC: dict[str, PublicSet] = {
    one.data_set.name: one
    for one in (ALL_IDB1, ALL_IDB2, C_NMC, AML_LMU, PBC, BLOOD_MNIST, RAABIN, ARIA_ALL)
}
