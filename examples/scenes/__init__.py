"""The three pictures that draw_photos.py draws.

A scene is a module with `draw(height, width)`, which returns linear light: mountain_lake (with conifers, hut),
harbour (with fronts, boats), still_life (with solids, wares, tabletop). They share common, surfaces, patches.
"""
