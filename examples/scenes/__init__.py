"""The three pictures that draw_photos.py draws.

A scene is a module with `draw(height, width)`, which returns linear light: mountain_lake (and conifers, hut),
harbour (and fronts, boats), still_life (and solids, wares, tabletop). They share common, surfaces, patches.
"""
