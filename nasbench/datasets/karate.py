"""Zachary's karate club, which networkx brings along: 34 members, two clubs. Always there, no download."""

from __future__ import annotations

from nasbench.datasets.graph_splits import NodeSource
from nasbench.datasets.graphs import Graph, tidy_edges

CLUBS = ("Mr. Hi", "Officer")


def read_karate() -> NodeSource:
    """Read the club (Zachary, "An Information Flow Model for Conflict and Fission in Small Groups", 1977).

    34 nodes, 78 friendships (156 directed edges), as features who a member is, the club he chose as his class. The
    split draws 4 members of each club for training and 4 for validation; 18 are left for testing.
    """
    import networkx as nx
    import torch

    club = nx.karate_club_graph()
    pairs = torch.tensor(list(club.edges()), dtype=torch.int64).T
    edges = tidy_edges(torch.cat([pairs, pairs.flip(0)], dim=1), len(club))
    labels = torch.tensor([CLUBS.index(name) for _, name in club.nodes(data="club")])
    return NodeSource(Graph(torch.eye(len(club)), edges), labels, CLUBS, "networkx karate club", per_class=(4, 4))
