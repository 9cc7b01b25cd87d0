// The number of a workgroup in a launch that is folded over x and y.
fn grid_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
  return group.y * groups.x + group.x;
}
