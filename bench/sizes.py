"""How large the workloads are, and their content: the issue's sizes, and tiny ones to try it."""

from __future__ import annotations

from dataclasses import dataclass

from bench.content import Content, Image, Layer

MB = 1_000_000
REPOSITORY = "bench/app"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tags, bytes and repositories of each workload."""

    a_tags: int = 8
    a_image: int = 22_500_000  # bytes of one platform: 8 x 2 of them are 360 MB
    b_tags: int = 200
    b_image: int = 22_500  # 200 of them are 4.5 MB
    c_layer: int = 60 * MB
    d_repositories: int = 20
    d_base: int = 40 * MB
    e_tags: int = 10_000
    f_tags: int = 8
    f_layers: int = 10  # a tag
    f_layer: int = 50 * MB
    g_small: int = 50 * MB
    g_large: int = 4000 * MB
    h_tags: int = 200
    up_settles: float = 45.0  # seconds until the first sync, the first site and imports are over
    up_rests: float = 150.0  # seconds that are measured
    up_pushes: int = 10
    up_pause: float = 16.0  # seconds between two pushes, at most: longer than between two looks
    fleet: int = 300  # repositories of one entry

    def a(self, tags: int | None = None) -> Content:
        """Two platforms a tag, three layers each, nothing shared."""
        return Content(
            REPOSITORY,
            tuple(
                Image(
                    f"1.{tag}.0",
                    tuple(
                        tuple(
                            Layer(f"a/{tag}/{system}/{share}", self.a_image * share // 10)
                            for share in (6, 3, 1)
                        )
                        for system in ("amd64", "arm64")
                    ),
                    str(tag),
                )
                for tag in range(tags or self.a_tags)
            ),
        )

    def b(self, tags: int | None = None, moved: int = 0) -> Content:
        """One platform a tag, a config and two layers, nothing shared.

        `moved`: each tag points at the image so many tags further on.
        """
        count = self.b_tags if tags is None else tags
        return Content(
            REPOSITORY, tuple(self._small(tag, (tag + moved) % count) for tag in range(count))
        )

    def _small(self, tag: int, image: int) -> Image:
        layers = (
            Layer(f"b/{image}/0", self.b_image * 7 // 10),
            Layer(f"b/{image}/1", self.b_image * 3 // 10),
        )
        return Image(f"1.0.{tag}", (layers,), str(image))

    def c(self) -> Content:
        """A single layer."""
        return Content(REPOSITORY, (Image("1.0.0", ((Layer("c", self.c_layer),),)),))

    def d(self) -> list[Content]:
        """Repositories with one base and a small layer each."""
        base = Layer("d/base", self.d_base)
        return [
            Content(f"bench/app{at:02}", (Image("1.0.0", ((base, Layer(f"d/{at}", 50_000)),)),))
            for at in range(self.d_repositories)
        ]

    def e(self) -> Content:
        """Many tags, each with its own manifest."""
        return Content(REPOSITORY, tuple(self.e_tag(tag) for tag in range(self.e_tags)))

    def e_tag(self, tag: int) -> Image:
        """One of them."""
        return Image(f"1.0.{tag}", ((Layer("e", 1000),),), str(tag))

    def f(self) -> Content:
        """Layers of one size, none shared."""
        return Content(
            REPOSITORY,
            tuple(
                Image(
                    f"1.{tag}.0",
                    (tuple(Layer(f"f/{tag}/{at}", self.f_layer) for at in range(self.f_layers)),),
                    str(tag),
                )
                for tag in range(self.f_tags)
            ),
        )

    def g(self, size: int) -> Content:
        """One layer of `size` bytes."""
        return Content(REPOSITORY, (Image("1.0.0", ((Layer("g", size),),)),))


FULL = Sizes()
SMOKE = Sizes(
    a_tags=2,
    a_image=60_000,
    b_tags=5,
    c_layer=2 * MB,
    d_repositories=3,
    d_base=MB,
    e_tags=130,
    f_tags=2,
    f_layers=2,
    f_layer=2 * MB,
    g_small=MB,
    g_large=20 * MB,
    h_tags=5,
    up_settles=0.0,
    up_rests=1.0,
    up_pushes=1,
    up_pause=1.0,
    fleet=12,
)
